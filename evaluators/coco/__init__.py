"""Pictures painted from annotations in COCO format, and scored against them."""
