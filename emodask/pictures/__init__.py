"""Pictures of what the models see: gradients of the face, curves of the voice, their splines."""
