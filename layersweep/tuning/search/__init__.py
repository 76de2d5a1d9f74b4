"""Which trials run next: the queue, and the samplers of searched arms."""
