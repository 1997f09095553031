"""Online learning: a network that answers, learns and changes with every sample of a stream."""

from .channels import Channels
from .online import Online

__all__ = ["Channels", "Online"]
