"""The page on which people have a recording judged, and the verdict that it shows."""
