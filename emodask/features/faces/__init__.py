"""Faces in gray frames: found by a detector, followed through a clip, cropped."""
