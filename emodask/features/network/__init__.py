"""What features that come from networks share: settings that name weights, and frozen bases."""
