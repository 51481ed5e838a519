"""Set one corrector and read what the orbit does. It writes, so a person is asked first."""

from osprey_executor import runtime

before = runtime.read_channel("VA:BPM:10:X")
runtime.write_channel("VA:HCM:01:SP", 0.1)
after = runtime.read_channel("VA:BPM:10:X")

results = {
    "setpoint_a": runtime.read_channel("VA:HCM:01:SP"),
    "read_back_a": runtime.read_channel("VA:HCM:01:RB"),
    "x_before_mm": before,
    "x_after_mm": after,
}
