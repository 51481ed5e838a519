"""Read the beam current and the orbit, and plot the orbit. It writes nothing, so nobody is asked."""

import matplotlib.pyplot as plt
import numpy as np

from osprey_executor import runtime

names = [f"VA:BPM:{i:02d}:X" for i in range(1, 37)]
orbit = np.array(list(runtime.read_channels(names).values()))

figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
axes.plot(range(1, 37), orbit, "o-")
axes.set(xlabel="beam position monitor", ylabel="x (mm)", title="Horizontal orbit")

results = {
    "beam_current_ma": runtime.read_channel("VA:DCCT"),
    "rms_x_um": 1e3 * float(np.sqrt(np.mean(orbit**2))),
}
