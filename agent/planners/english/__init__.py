"""Reading English: what a sentence says is in the picture, by a dependency parser and our own knowledge of things."""
