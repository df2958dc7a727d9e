from __future__ import annotations


class Platform:
    device_type = ""


current_platform = Platform()
