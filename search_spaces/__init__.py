"""What each sweep varies, as flat data: key to a list of choices or a Range. Several dicts are a union of arms."""
