"""Building blocks of the audio feature families: spectra, speech variants, descriptors, splines."""
