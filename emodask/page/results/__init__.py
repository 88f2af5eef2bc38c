"""Pages of results: runs side by side, each with its report, its clips and its failures."""
