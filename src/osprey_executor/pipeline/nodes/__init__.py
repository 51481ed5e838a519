"""One small file a node. A node calls the rooms, and says which node comes next."""
