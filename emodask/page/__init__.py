"""The page: people and programs show it recordings, and it says which emotions they show."""
