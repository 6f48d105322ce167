"""Online provisioning: boards at a technician's bench claim their identity over HTTPS."""
