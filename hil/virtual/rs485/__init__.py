"""An RS-485 line at a UART of the virtual board, with meters and sensors on it."""
