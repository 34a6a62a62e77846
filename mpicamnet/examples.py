"""What `mpicamnet COMMAND --help` teaches by: a line or two that can be copied, with the least that one must know."""
from __future__ import annotations

EXAMPLES = {
    "run": """\
  mpicamnet run configs/demo.yaml                        on one rank
  mpirun -n 2 mpicamnet run configs/demo.yaml            on two; on a cluster `srun mpicamnet run ...`
  mpicamnet run configs/demo.yaml --from infer           the stages before must be done
  mpicamnet run configs/demo.yaml --force evaluate       that stage anew, and what no longer fits it

What is done with today's config is skipped. After a kill the same line goes on from there, on any number of ranks.""",
    "extract": """\
  mpirun -n 4 mpicamnet extract configs/demo.yaml
  mpicamnet extract configs/demo.yaml --set extract.shard=3/8     one share of eight, for a job array; then `mpicamnet merge`

Leaves patches.h5 in `work`: the same bytes on any number of ranks.""",
    "train": """\
  mpirun -n 2 mpicamnet train configs/demo.yaml
  mpicamnet train configs/demo.yaml --set train.epochs=20 --set train.batch=16

Reads patches.h5; leaves train/model.keras, history.csv and curves.png. A rank per GPU; without GPUs all ranks train.""",
    "infer": """\
  mpirun -n 2 mpicamnet infer configs/demo.yaml
  mpicamnet infer configs/demo.yaml --set infer.model=other/model.keras

Works on the slides of `data.split.test`; leaves infer/predictions.h5 and a heatmap per slide in infer/heatmaps/.""",
    "evaluate": """\
  mpicamnet evaluate configs/demo.yaml
  mpicamnet evaluate configs/demo.yaml --set evaluate.bootstrap=0     no intervals: quick

Reads probabilities, outlines and stage tables; leaves evaluate/evaluation.json, tables and curves.""",
    "explain": """\
  mpirun -n 2 mpicamnet explain configs/demo.yaml
  mpicamnet explain configs/demo.yaml --set 'explain.methods=[gradcam, lime]'
  mpicamnet explain configs/demo.yaml --set 'explain.patches=[0, 17]'     rows of predictions.h5; also SLIDE:X:Y""",
    "report": """\
  mpicamnet report configs/demo.yaml          leaves report.html in `work`: one file, for any browser

It shows what is there; what is not made yet it says.""",
    "merge": """\
  mpicamnet extract c.yaml --set extract.shard=1/2
  mpicamnet extract c.yaml --set extract.shard=2/2
  mpicamnet merge c.yaml                      the file that one job would have made""",
    "stage": """\
  srun mpicamnet stage c.yaml --to /tmp/slides          each slide is read once and sent to all nodes
  srun mpicamnet run c.yaml --set data.stage=/tmp/slides     copies what is not there, and reads the copies""",
    "verify": """\
  mpirun -n 2 mpicamnet verify configs/demo.yaml""",
    "plan": """\
  mpicamnet plan configs/demo.yaml
  mpicamnet plan configs/camelyon17_dense.yaml --ranks 4800     before it is queued
  mpicamnet plan c.yaml --ranks 8 --set train.batch=128         would it fit? memory, space and time with a key changed""",
    "export": """\
  mpicamnet export configs/demo.yaml --to old.h5            places in px of level 5, as its last versions wrote them
  mpicamnet export configs/demo.yaml --to old.h5 --level 7  as its first ones""",
    "import": """\
  mpicamnet import old.h5 --to runs/old/patches.h5""",
    "doctor": """\
  mpicamnet doctor                                  this installation
  mpicamnet doctor configs/demo.yaml                and what a run of this config needs
  srun mpicamnet doctor configs/demo.yaml           and whether all ranks of a job are of one build, on one file system""",
    "weights": """\
  mpicamnet weights                                 every network
  mpicamnet weights resnet50 --dir weights          what it wants, and whether that is in this folder; nothing is downloaded""",
}
