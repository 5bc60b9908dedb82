"""Which of diffusers' schedulers paint with our models, tried on pictures that are known."""
