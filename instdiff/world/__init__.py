"""What is in the world, what it is called and measures, and how it comes onto a picture."""
