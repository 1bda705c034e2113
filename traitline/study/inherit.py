"""What parts of a configuration inherit from others, filled in before the configuration is checked."""

from collections.abc import Mapping
from typing import Any

from traitline.study.validation import require_known


def fill_channels(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give channels that filter the answers of another one (`of`) all settings that decide these answers.

    Raises:
        ValueError: a channel takes its answers from one that is missing or takes them from elsewhere itself, or says
            about them what its origin does not.
    """
    channels = raw.get("channels")
    if not isinstance(channels, dict):
        return raw
    filled = dict(channels)
    for label, channel in channels.items():
        if not isinstance(channel, dict) or "of" not in channel:
            continue
        require_known(f"channels.{label}.of", channel["of"], channels)
        origin = channels[channel["of"]]
        if not isinstance(origin, dict) or "of" in origin:
            raise ValueError(f"channels.{label}.of: {channel['of']} takes its answers from elsewhere itself; name that")
        for key, value in channel.items():
            if key not in ("of", "threshold", "banned") and origin.get(key) != value:
                raise ValueError(f"channels.{label}.{key}: the answers are those of {channel['of']}; leave it out")
        filled[label] = {**origin, **channel}
    return {**raw, "channels": filled}
