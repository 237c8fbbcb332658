"""Reminders and notices by e-mail (domain.md 3): planned from the timelines that decisions rest on, written, sent."""
