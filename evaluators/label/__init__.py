"""Labels to train on for bare pictures, made by models on this machine: tags, boxes, masks, captions."""
