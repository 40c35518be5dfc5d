"""The losses in the form that each ecosystem expects; nothing here computes, every call goes to `focal_ref`.

One module an ecosystem, imported only by who asks for it: ``torch`` (a module), ``torchvision`` and ``optax``
(functions with the signatures of theirs), ``keras`` (losses for ``model.compile``), ``torch_distributed``
(what several processes divide by).
"""
