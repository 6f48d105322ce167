"""What a bridge reads: tables and views, drop folders, HTTP interfaces, MQTT topics."""
