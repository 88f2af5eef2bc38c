"""Pages for people: the report of a run and the leaderboard of many, with their figures."""
