"""A layout painted as one paints with diffusers. From the checkout: ``python examples/diffusers_style.py``.

Takes a few seconds on a CPU, and leaves a picture and its layout in ``outputs/``.
"""

import torch

from instdiff import InstanceDiffusionPipeline, Layout

pipe = InstanceDiffusionPipeline.from_pretrained("instdiff/draft")  # small models that come with the repository
pipe.to("cuda" if torch.cuda.is_available() else "cpu")

layout = Layout.from_boxes(
    [[20, 130, 120, 220], [140, 120, 240, 225]],  # x0, y0, x1, y1 in pixels
    ["dog", "car"],
    size=(256, 256),
    captions=["a brown dog", "a red car"],
    caption="a brown dog to the left of a red car",
)


def print_step(pipe, step, timestep, tensors):
    """Called after every step; changed latents may be given back."""
    print(f"step {step + 1}: timestep {int(timestep)}, latents {tuple(tensors['latents'].shape)}")
    return tensors


images = pipe(
    layout,
    num_images_per_prompt=2,
    generator=torch.Generator().manual_seed(3),  # on the CPU: then the same pictures on every device
    callback_on_step_end=print_step,
    callback_on_step_end_tensor_inputs=["latents"],
).images

for number, image in enumerate(images, start=1):
    image.save(f"outputs/dog_and_car_{number}.png")
layout.draw(images[0]).save("outputs/dog_and_car_boxes.png")
