"""The formats in which providers ask and answer: for each, what a request says and how an answer adds up."""
