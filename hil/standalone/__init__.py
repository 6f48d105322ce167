"""A twin without a board: in real time, on a terminal or a TCP port, for anybody's driver."""
