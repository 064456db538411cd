"""The bot in Slack: what it is told, who reads its replies, and what it posts."""
