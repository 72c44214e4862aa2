"""The reconciler: folds the inbox, saves, and only then speaks. Reaches the world through ports."""
