"""Building blocks of the video feature families: histograms of gradients."""
