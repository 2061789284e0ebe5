"""What several operations say of one customer: portrait, scores, product fit, and who may see them."""
