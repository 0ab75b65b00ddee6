"""What a reader must know before trusting a comparison of drills, in both languages."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from schemas.base import Text
from services.drills.record import DrillRow, Ending

if TYPE_CHECKING:
    from services.drills.compare import Played

_SIDES = (("base", "基准"), ("candidate", "对比"))
_ENDINGS = {Ending.STOPPED: "人工终止", Ending.FAILED: "异常中断"}


def notes_on(base: "Sequence[Played]", candidate: "Sequence[Played]") -> list[Text]:
    """Say everything that weighs on a comparison of these drills."""
    drills = tuple([each.drill for each in side] for side in (base, candidate))
    return [
        *_on_drills(*drills),
        *_on_settings([*drills[0], *drills[1]]),
        *_on_departments(base, candidate),
        *_on_observations(base, candidate),
    ]


def _on_drills(before: Sequence[DrillRow], after: Sequence[DrillRow]) -> Iterator[Text]:
    if {drill.id for drill in before} & {drill.id for drill in after}:
        yield Text(
            en="a drill stands on both sides; what it has in common with itself is no evidence",
            zh="同一次演练出现在两侧，其自身的相同之处不构成依据",
        )
    for (name, zh), side in zip(_SIDES, (before, after), strict=True):
        drawn = [(drill.document.id, drill.seed) for drill in side]
        if len(set(drawn)) < len(drawn):
            yield Text(
                en=f"{name}: drills of one scenario share a seed, so simulated departments answer alike twice",
                zh=f"{zh}：同一脚本的演练使用相同种子，模拟单位的应答会重复",
            )
        for drill in side:
            if drill.ending in _ENDINGS:
                yield Text(
                    en=f"{name}: drill {drill.id} did not run to its end ({drill.ending})",
                    zh=f"{zh}：演练 {drill.id} 未运行至结束（{_ENDINGS[drill.ending]}）",
                )


def _on_settings(drills: Sequence[DrillRow]) -> Iterator[Text]:
    scenarios = sorted({drill.document.id for drill in drills})
    if len(scenarios) > 1:
        told = ", ".join(scenarios)
        yield Text(en=f"different scenarios are compared: {told}", zh=f"对比的是不同脚本：{told}")
    speeds = sorted({drill.speed for drill in drills})
    if len(speeds) > 1:
        told = ", ".join(f"{speed:g}" for speed in speeds)
        yield Text(
            en=f"run at different speeds ({told}): the machine's own time weighs differently",
            zh=f"倍速不同（{told}）：系统自身处理时间的影响不同",
        )


def _on_departments(base: "Sequence[Played]", candidate: "Sequence[Played]") -> Iterator[Text]:
    theirs, ours = _departments(base), _departments(candidate)
    if not (ours and theirs):
        return
    for (name, zh), only in zip(_SIDES, (theirs - ours, ours - theirs), strict=True):
        if only:
            told = ", ".join(sorted(only))
            yield Text(
                en=f"{name}: only here had orders {told}; turnout over all departments mixes them",
                zh=f"{zh}：仅此侧有任务的单位为 {told}；全部单位的出动准备混合了它们",
            )


def _on_observations(base: "Sequence[Played]", candidate: "Sequence[Played]") -> Iterator[Text]:
    for (name, zh), played in zip(_SIDES, (base, candidate), strict=True):
        cut_short = sum(each.observed.cut_short for each in played)
        impossible = sum(sum(each.observed.impossible.values()) for each in played)
        if cut_short:
            yield Text(
                en=f"{name}: {cut_short} orders were taken back before their time to answer was over; not counted",
                zh=f"{zh}：{cut_short}项任务在应答时限前收回，不计入",
            )
        if impossible:
            yield Text(
                en=f"{name}: {impossible} spans ended before they began; set aside",
                zh=f"{zh}：{impossible}个时段结束早于开始，未计入",
            )


def _departments(side: "Sequence[Played]") -> set[str]:
    return {each.department for played in side for each in played.observed.found if each.department is not None}
