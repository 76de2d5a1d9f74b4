"""What the table `classes` says of trials: how many images each class has, and which class is too frequent."""
