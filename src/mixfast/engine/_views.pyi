#: Starts that views of the rows give beside those of k-means, at most.
MOST_VIEWS: int
