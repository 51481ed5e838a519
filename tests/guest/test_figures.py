"""Every figure of a program is kept, whatever the program does with it."""

from __future__ import annotations

import io

import pytest


def sizes(ran):
    """Return width and height of each figure; decoding them is the proof that they are pictures."""
    from matplotlib.image import imread

    return [imread(io.BytesIO(png)).shape[1::-1] for png in ran.report.figures]


async def test_nothing_is_imported_for_figures(run):
    ran = await run("import sys\nresults = {'m': [m for m in sys.modules if m[:5] in ('matpl', 'numpy')]}\n")
    assert ran.report.results == {"m": []}
    assert ran.report.figures == ()


async def test_open_closed_and_object_api_in_creation_order(run):
    ran = await run(
        "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\n"
        "from matplotlib.figure import Figure\n"
        "a = plt.figure(figsize=(1, 1)); plt.plot([1, 2])\n"
        "b = Figure(figsize=(2, 1)); b.subplots().plot([1, 2])\n"
        "c, ax = plt.subplots(figsize=(3, 1)); ax.plot([1]); plt.savefig('c.png'); plt.close(c)\n"
        "d = plt.figure(figsize=(4, 1)); plt.plot([1]); plt.close('all')\n"
        "e = plt.figure(figsize=(5, 1)); plt.title('x'); plt.show()\n"
        "plt.figure(figsize=(6, 1))\n"
    )
    assert (ran.stderr, ran.report.error, ran.report.problems) == ("", None, ())
    assert sizes(ran) == [(100, 100), (200, 100), (300, 100), (400, 100), (500, 100)]


async def test_show_does_not_warn_even_with_a_display(run):
    ran = await run(
        "import matplotlib.pyplot as plt\nf, ax = plt.subplots()\nax.plot([1])\nplt.show()\nf.show()\n",
        env={"DISPLAY": ":99"},
    )
    assert ran.stderr == ""
    assert len(ran.report.figures) == 1


async def test_a_closed_figure_that_is_drawn_in_afterwards_is_kept_as_it_ends(run):
    ran = await run(
        "import matplotlib.pyplot as plt\nf, ax = plt.subplots(figsize=(2, 2))\nplt.close(f)\n"
        "ax.imshow([[0, 1]], cmap='gray', aspect='auto')\nax.set_position([0, 0, 1, 1])\nax.axis('off')\n"
    )
    from matplotlib.image import imread

    picture = imread(io.BytesIO(ran.report.figures[0]))
    assert picture[100, 10, 0] < 0.1, "the black half is there"


async def test_a_closed_figure_survives_the_end_of_the_run(run):
    ran = await run(
        "import matplotlib.pyplot as plt, os\nplt.plot([1])\nplt.close()\nos._exit(0)\n",
    )
    assert len(ran.report.figures) == 1
    assert not ran.report.finished


async def test_a_figure_that_cannot_be_drawn_is_a_note(run):
    ran = await run(
        "import matplotlib.pyplot as plt\nplt.title(r'$\\frac{1$')\nplt.figure(figsize=(1, 1))\nplt.plot([1])\n"
        "results = {'ok': 1}\n"
    )
    assert (ran.code, ran.report.results) == (0, {"ok": 1})
    assert sizes(ran) == [(100, 100)]
    assert any("figure 1 could not be drawn" in note for note in ran.report.problems)


async def test_figures_are_drawn_as_matplotlib_would_whatever_the_program_puts_in_its_place(run):
    ran = await run(
        "import matplotlib.pyplot as plt\nfrom matplotlib.figure import Figure\n"
        "def gone(*args, **kwargs): raise SystemExit\n"
        "for i in range(5):\n    plt.figure(figsize=(1, 1)); plt.plot([i])\n"
        "Figure.savefig = gone\n"
    )
    assert ran.code == 0
    assert ran.report.problems == ()
    assert sizes(ran) == [(100, 100)] * 5


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "type('Own', (BaseException,), {})"])
async def test_every_figure_that_is_lost_is_told(run, error):
    ran = await run(
        "import matplotlib.pyplot as plt\nfrom matplotlib.backend_bases import FigureCanvasBase\n"
        f"def gone(*args, **kwargs): raise {error}\n"
        "for i in range(3):\n    plt.figure(figsize=(1, 1)); plt.plot([i])\n"
        "FigureCanvasBase.print_figure = gone\nresults = {'x': 1}\n"
    )
    assert (ran.code, ran.report.results, ran.report.figures) == (0, {"x": 1}, ())
    assert [note.split(":")[0] for note in ran.report.problems] == [f"figure {n} could not be drawn" for n in (1, 2, 3)]


async def test_at_most_a_hundred_figures(run):
    ran = await run(
        "from matplotlib.figure import Figure\nfor i in range(103):\n    Figure(figsize=(0.2, 0.2)).text(0, 0, 'x')\n"
    )
    assert len(ran.report.figures) == 100
    assert any("3 figures beyond the first 100" in note for note in ran.report.problems)


async def test_a_huge_figure_is_made_smaller(run):
    ran = await run("from matplotlib.figure import Figure\nf = Figure(figsize=(200, 200))\nf.text(0, 0, 'x')\n")
    assert sizes(ran) == [(4000, 4000)]
    assert any("very large" in note for note in ran.report.problems)


@pytest.mark.parametrize("before", ["import matplotlib.pyplot", ""])
async def test_figures_are_kept_when_matplotlib_is_loaded_already(before):
    """A server that imports beforehand patches the loaded modules instead of waiting for them."""
    import subprocess
    import sys

    code = (
        f"{before}\nfrom osprey_executor.guest.figures import FigureKeeper\n"
        "class C:\n    sent = []\n    def mine(self): return True\n"
        "    def send(self, header, blobs): C.sent.append(header)\n"
        "keeper = FigureKeeper(C())\nimport matplotlib.pyplot as plt\nplt.plot([1]); plt.close()\nplt.plot([2])\n"
        "keeper.finish()\nassert [h['index'] for h in C.sent] == [1, 2], C.sent\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
