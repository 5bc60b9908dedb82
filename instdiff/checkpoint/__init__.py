"""Other people's checkpoints <-> our model folder: ``python -m instdiff.checkpoint --help``.

``pickles`` and ``tensors`` read files without running what is in them. ``sources`` tells what a file or folder is,
gives its tensors our names and keeps ``account`` of each. ``models`` finds the sizes and checks that nothing is missing
or left over, ``lora`` merges adapters, ``convert`` puts it together and writes the folder, ``reference`` goes back.
Importing this package costs no torch.
"""
