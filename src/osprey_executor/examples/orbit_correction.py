"""Measure the orbit response matrix and correct the closed orbit of the virtual accelerator in both planes.

A scripted example: written by hand, the way a language model would write it. The demo's `mock` generator returns it.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from osprey_executor import runtime

MONITORS = range(1, 37)
CORRECTORS = range(1, 17)
KICK = 0.2  # A, for the measurement of the response
LIMIT = 4.8  # A, a little inside the drive limits of the power supplies
ROUNDS = 2  # the response is slightly nonlinear, so correct, look, and correct again
STEPS = 2  # each correction goes in steps, so that the beam follows gently


def read_orbit(samples=1):
    """Return the horizontal and the vertical orbit in mm, averaged over samples."""
    names = [f"VA:BPM:{i:02d}:X" for i in MONITORS] + [f"VA:BPM:{i:02d}:Y" for i in MONITORS]
    readings = []
    for sample in range(samples):
        if sample:
            time.sleep(0.1)
        readings.append(list(runtime.read_channels(names).values()))
    return np.mean(readings, axis=0).reshape(2, len(MONITORS))


def response_of_horizontal(i, current):
    """Kick one horizontal corrector up and down; return the change of x in mm/A. The corrector is put back."""
    runtime.write_channel(f"VA:HCM:{i:02d}:SP", current + KICK)
    try:
        up, _ = read_orbit()
        runtime.write_channel(f"VA:HCM:{i:02d}:SP", current - KICK)
        down, _ = read_orbit()
    finally:
        runtime.write_channel(f"VA:HCM:{i:02d}:SP", current)
    return (up - down) / (2 * KICK)


def response_of_vertical(i, current):
    """Kick one vertical corrector up and down; return the change of y in mm/A. The corrector is put back."""
    runtime.write_channel(f"VA:VCM:{i:02d}:SP", current + KICK)
    try:
        _, up = read_orbit()
        runtime.write_channel(f"VA:VCM:{i:02d}:SP", current - KICK)
        _, down = read_orbit()
    finally:
        runtime.write_channel(f"VA:VCM:{i:02d}:SP", current)
    return (up - down) / (2 * KICK)


def rms_um(orbit):
    """Return the rms of an orbit in micrometres."""
    return 1e3 * float(np.sqrt(np.mean(orbit**2)))


setpoints = [f"VA:{plane}CM:{i:02d}:SP" for plane in "HV" for i in CORRECTORS]
runtime.declare_writes(dict.fromkeys(setpoints, (-5.0, 5.0)))
runtime.progress(0.0, "reading the orbit and the correctors")
beam_current = runtime.read_channel("VA:DCCT")
if beam_current < 1.0:
    raise RuntimeError(f"no beam: {beam_current:.2f} mA")
h_start = np.array([runtime.read_channel(f"VA:HCM:{i:02d}:SP") for i in CORRECTORS])
v_start = np.array([runtime.read_channel(f"VA:VCM:{i:02d}:SP") for i in CORRECTORS])
before_x, before_y = read_orbit(samples=5)
print(f"beam current {beam_current:.1f} mA")
print(f"orbit before: rms x {rms_um(before_x):.1f} um, rms y {rms_um(before_y):.1f} um")

response_x = np.zeros((len(MONITORS), len(CORRECTORS)))
response_y = np.zeros((len(MONITORS), len(CORRECTORS)))
for i in CORRECTORS:
    runtime.progress(0.05 + 0.5 * (i - 1) / len(CORRECTORS), f"orbit response, correctors {i} of {len(CORRECTORS)}")
    response_x[:, i - 1] = response_of_horizontal(i, h_start[i - 1])
    response_y[:, i - 1] = response_of_vertical(i, v_start[i - 1])

# Small singular values are left out: they would turn noise into large currents.
inverse_x = np.linalg.pinv(response_x, rcond=0.01)
inverse_y = np.linalg.pinv(response_y, rcond=0.01)

h_now, v_now = h_start.copy(), v_start.copy()
for turn in range(ROUNDS):
    x, y = read_orbit(samples=3)
    h_target = np.clip(h_now - inverse_x @ x, -LIMIT, LIMIT)
    v_target = np.clip(v_now - inverse_y @ y, -LIMIT, LIMIT)
    for step in range(1, STEPS + 1):
        done = (turn * STEPS + step - 1) / (ROUNDS * STEPS)
        runtime.progress(0.55 + 0.4 * done, f"correction {turn + 1} of {ROUNDS}, step {step} of {STEPS}")
        h_set = h_now + (h_target - h_now) * step / STEPS
        v_set = v_now + (v_target - v_now) * step / STEPS
        for i in CORRECTORS:
            runtime.write_channel(f"VA:HCM:{i:02d}:SP", float(h_set[i - 1]))
            runtime.write_channel(f"VA:VCM:{i:02d}:SP", float(v_set[i - 1]))
    h_now, v_now = h_target, v_target

runtime.progress(0.95, "reading the corrected orbit")
after_x, after_y = read_orbit(samples=5)
print(f"orbit after:  rms x {rms_um(after_x):.1f} um, rms y {rms_um(after_y):.1f} um")

# One row a plane: the orbit before and after, and what the correctors were changed by.
plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
figure, axes = plt.subplots(2, 2, figsize=(11, 6), dpi=150, width_ratios=[3, 2], layout="constrained")
planes = [
    ("Horizontal", "x", before_x, after_x, h_now - h_start),
    ("Vertical", "y", before_y, after_y, v_now - v_start),
]
for row, (plane, axis, before, after, change) in enumerate(planes):
    orbit_axes, change_axes = axes[row]
    orbit_axes.axhline(0, color="0.6", linewidth=0.8)
    for label, orbit, color, width in (("before", before, "#d9822b", 1.2), ("after", after, "#1f5fa8", 1.8)):
        label = f"{label}: rms {rms_um(orbit):.0f} µm"
        orbit_axes.plot(MONITORS, orbit, "o-", color=color, markersize=3.5, linewidth=width, label=label)
    orbit_axes.set(ylabel=f"{axis} (mm)", xlim=(0, 37), xticks=list(MONITORS)[::5])
    orbit_axes.set_title(f"{plane} orbit", loc="left", fontweight="bold")
    orbit_axes.margins(y=0.1)
    orbit_axes.grid(axis="y", color="0.92")
    orbit_axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, frameon=False, borderaxespad=0.2)
    change_axes.bar(CORRECTORS, change, color="#5b7f95", width=0.7)
    change_axes.axhline(0, color="0.6", linewidth=0.8)
    change_axes.set(ylabel="change (A)", xticks=list(CORRECTORS)[::3])
    change_axes.set_title(f"{plane} correctors", loc="left", fontweight="bold")
    change_axes.grid(axis="y", color="0.92")
axes[1, 0].set_xlabel("beam position monitor")
axes[1, 1].set_xlabel("corrector")
figure.suptitle("Orbit correction of the virtual accelerator", fontsize=14, fontweight="bold")

results = {
    "rms_x_before_um": rms_um(before_x),
    "rms_x_after_um": rms_um(after_x),
    "rms_y_before_um": rms_um(before_y),
    "rms_y_after_um": rms_um(after_y),
    "largest_corrector_change_a": float(max(abs(h_now - h_start).max(), abs(v_now - v_start).max())),
    "beam_current_ma": float(beam_current),
    "response_x_mm_per_a": response_x,
    "response_y_mm_per_a": response_y,
}
runtime.progress(1.0, "done")
