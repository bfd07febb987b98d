"""What runs a process: settings, serving, workers, retries, housekeeping, group commit and its linger."""
