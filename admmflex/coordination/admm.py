"""Price coordination: consensus ADMM between prosumers and the linearised grid, relinearised in every round.

    prosumer i : y_i <- argmin C_i(y) + sum_t dt_t ( -lam_b,t' y_t + rho/2 |y_t - z_i,t|^2 )
    DSO        : Z   <- argmin sum_b rho / (2 n_b) |Z_b - (Yr_b - n_b lam_b / rho)|^2   s.t. linearised limits
    price      : lam <- -A' nu              ( = lam + rho (Z_b - Yr_b) / n_b, by the optimality of the DSO step)
    share      : z_i <- yr_i + (Z_b - Yr_b) / n_b

with yr = relaxation y + (1 - relaxation) z, capital letters sums over the prosumers of a bus, nu the multipliers of
the grid rows and A their gradient. n_b counts the prosumers of a bus that can move p (or q) in the step, so that the
DSO never asks for what nobody can do. There is one price per bus and step for p and one for q.

Source: Grammatikos et al., price-based control with ADMM; over-relaxation after Boyd et al., 2011, section 3.4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.community import Answer, Community, Memory, Plan
from admmflex.coordination.coordinated import Asked, Coordinated, Status, Warm
from admmflex.coordination.exchange import Exchange
from admmflex.coordination.infeasible import OVERWHELMING, Shortfall, judge, violated_rows
from admmflex.coordination.keeper import Keeper
from admmflex.coordination.mixing import SLACK_TOLERANCE, Mix, Mixer
from admmflex.coordination.opening import opening_price
from admmflex.coordination.proof import Averaging, Dual, Proving, bound, last_bound
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import (
    EXCESS,
    excess_of,
    meets_limits,
    mixes_settled,
    proves,
    refuted,
    settled,
    steady,
)
from admmflex.dso import Dso
from admmflex.dso.rows import Rows
from admmflex.horizon import Array, BoolArray

FIRST_RHO = 1e-4  # of the first answer, at no price: identical devices spread instead of moving together
SLACK_PRICE = 100.0  # of violating a limit by 1 kWh, in typical tariffs
ABOVE_DEAREST = 5.0  # and at least so many times the dearest energy
DOUBT_ROUNDS = 12  # without mixing: rounds between two questions whether the day can be met at all


class Admm:
    """One coordination; ``run`` does it all.

    Args:
        community: the rank's prosumers.
        dso: the grid in the rank's steps.
        observe: told every round's record, on every rank.
        warm: of an earlier coordination; without it the first answer is asked at no price.
        keeper: of checkpoints, if there are to be any.

    Attributes:
        best: the cheapest mix that met the limits.
    """

    def __init__(
        self,
        community: Community,
        dso: Dso,
        comm: Comm,
        settings: AdmmSettings,
        observe: Callable[[dict[str, Any]], None] = lambda record: None,
        warm: Warm | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        if dso.limits.connection is not None:  # a mix would follow the losses: docs/decisions/islands.md
            settings = replace(settings, mixing=None)
        self.community, self.dso, self.comm, self.settings, self.observe = community, dso, comm, settings, observe
        n_buses = len(dso.buses)
        self.exchange = Exchange(community, comm, n_buses, self._remember)
        self.rho = settings.rho
        self.mixed_rho: float | None = None  # that of the first mix; the steps shrink from there
        self.history: list[dict[str, Any]] = []
        self.price = np.zeros((2, n_buses, len(community.dt_h)))
        self.memory, self.keeper = Memory(), keeper
        self.baseline: Plan | None = None
        self.best: tuple[Mix, Plan] | None = None
        self.mixer: Mixer | None = None
        self.proving: Proving | None = None
        self.averaging: Averaging | None = None
        if settings.mixing is not None:
            most = max(SLACK_PRICE * community.price_scale, ABOVE_DEAREST * community.dearest)
            slack_price = most * float(community.dt_h.max())
            self.mixer = Mixer(dso.twin(), comm, settings.mixing.window, slack_price)
            self.proving = Proving(self.exchange, dso, self.mixer, settings)
        elif settings.certify:
            self.averaging = Averaging(self.exchange, dso, settings)
        self.count = self.exchange.by_bus(community.flexible.astype(float))
        self.bus_z, self.bus_price = np.zeros_like(self.count), np.zeros_like(self.count)
        self._someone_held = False
        able = comm.sum(np.array([float(community.flexible.sum())]))[0]
        self._price_norm = max(community.price_scale * float(np.sqrt(able)), 1e-9)
        self.cold = warm is None
        if warm is not None:
            self.rho, self.price, self.exchange.z = warm.rho, warm.price.copy(), warm.z.copy()
            self.bus_price = self.price.transpose(2, 0, 1).reshape(len(community.dt_h), -1)[self.exchange.steps].copy()
            self.bus_z = self.exchange.by_bus(warm.z)

    def run(self) -> Coordinated:
        """Go round until the plan is good, the day is proven infeasible, or the rounds are used up."""
        going = self.rounds()
        while True:
            try:
                next(going)
            except StopIteration as end:
                return cast(Coordinated, end.value)

    def rounds(self) -> Generator[Asked, None, Coordinated]:
        """The same, pausing in every round when the prosumers have answered and before the grid does."""
        first = 1 if self.keeper is None else self.keeper.begin(self)
        closed = self._closed()
        if first == 1 and self.cold and closed.any():
            self._open(closed)
        for iteration in range(first, self.settings.max_iterations + 1):
            plan, own = yield from self._round(iteration)
            self._forget()
            if iteration == 1 and self.cold:
                self.baseline = plan
            mix, bound_eur, shortfall = self._mix(iteration, own)
            self._report(mix, bound_eur)
            if shortfall is not None:
                return self._result("infeasible", plan, shortfall)
            self._forget()
            found = self._good_mix(mix, bound_eur) or self._good_answers(plan, own)
            if found is not None:
                return found
            self._adapt(iteration, mix)
            if self.keeper is not None and iteration < self.settings.max_iterations:
                self.keeper.end_round(self, iteration)
        return self._result("not_converged", self.best[1] if self.best else plan)

    def _good_mix(self, mix: Mix | None, bound_eur: float) -> Coordinated | None:
        """The best mix, if it is proven good enough or mixes no longer get better."""
        if mix is None or not meets_limits(mix.excess, self.settings):
            return None
        if self.best is None or mix.cost < self.best[0].cost:
            self.best = mix, self._mixed(mix)
        assert self.proving is not None
        dual = self.proving.of_plan(*self.best, self.price, bound_eur)
        if not self._done(dual.bound) or self.exchange.newly:
            return None
        back, before = self._called_back(), self.best[0].cost
        better, dual = self._improved(*self.best, dual)
        if self.exchange.newly or (back and self._gains(before, better.cost, dual)):
            return None
        return self._result("optimal", better, dual=dual)

    def _good_answers(self, plan: Plan, own: Array) -> Coordinated | None:
        """A mean of past answers that is proven good enough, or the answers themselves where they stand still."""
        proven = self.averaging.proven(plan, own, self.price) if self.averaging else None
        if proven is not None and not self._called_back():
            return self._result("optimal", proven[0], dual=proven[1])
        good = steady(self.history, self.settings) and (self.best is None or plan.cost <= self.best[0].cost)
        return self._result("optimal", plan) if good and not self._called_back() else None

    def _adapt(self, iteration: int, mix: Mix | None) -> None:
        """Balance the penalty up to the first mix that can meet the limits, then shrink it with every mix."""
        record, mixing = self.history[-1], self.settings.mixing
        if mixing is not None and mix is not None and mix.slack <= SLACK_TOLERANCE:
            self.mixed_rho = self.mixed_rho or self.rho
            self.rho = max(mixing.shrink * self.rho, mixing.least * self.mixed_rho)
        elif self.settings.balancing is not None and self.mixed_rho is None:
            self.rho = self.settings.balancing.update(self.rho, iteration, record["primal"], record["dual"])

    def _closed(self) -> BoolArray:
        """(K,) the steps of all ranks in which nothing is exchanged at the slack."""
        own, found = self.dso.limits.closed, np.zeros(len(self.community.dt_h))
        if own is not None:
            found[self.exchange.steps] = own
        return np.asarray(self.comm.sum(found) > 0.0)

    def _open(self, closed: BoolArray) -> None:
        """Begin with a price at which the energy of an island is about in balance.

        Changes of the prices are then compared with the geometric mean of a typical tariff and the mean of what energy
        costs with that price: tariff outside of the island, the price inside. The penalty, a price per kW, grows with
        the root of that price over the tariff.
        """
        price = opening_price(self.exchange, closed, self.community.dearest, FIRST_RHO)
        self.price[0, :, closed] = price
        self.bus_price[:, : len(self.dso.buses)] = np.where(closed, price, 0.0)[self.exchange.steps, None]
        share = float(closed.mean())
        mean = share * price / self.community.price_scale + (1.0 - share)
        self._price_norm *= float(np.sqrt(max(mean, 0.1)))
        self.rho *= float(np.sqrt(max(price / self.community.price_scale, 1.0)))

    def _round(self, iteration: int) -> Generator[Asked, None, tuple[Plan, Array]]:
        """Ask, project, share out; the answers as a plan, and their bus sums in the own steps."""
        own, cost = self.exchange.ask(self.price, FIRST_RHO if iteration == 1 and self.cold else self.rho)
        if self.exchange.held or self._someone_held:
            self.count = self.exchange.by_bus(self.exchange.trust.able.astype(float))
            self._someone_held = self.exchange.held > 0
        answer = self._answer()
        primal, dual = yield from self._dso_step(own, cost, iteration)
        excess = self.comm.largest(self.dso.check(own).worst)
        self.history.append(
            {
                "iteration": iteration,
                "rho": self.rho,
                "primal": primal,
                "dual": dual,
                "cost_eur": cost,
                **self._named(excess),
                "rows": int(self.comm.sum(np.array([float(len(self.dso.rows))]))[0]),
            }
        )
        return Plan(answer.y, answer.states, cost, excess), own

    def _named(self, excess: Array, prefix: str = "") -> dict[str, float]:
        """An excess over the limits for the record of a round."""
        return {prefix + name: float(value) for name, value in zip(EXCESS, excess, strict=False)}

    def _remember(self, own: Array, bus_cost: Array) -> None:
        """Every answer, whatever it was asked for, may be mixed later."""
        if self.mixer is not None:
            self.memory.record(self._answer(), self.mixer.record(own, bus_cost))

    def _answer(self) -> Answer:
        assert self.exchange.answer is not None
        return self.exchange.answer

    def _forget(self) -> None:
        """Plans that count on prosumers who have fallen silent since are none."""
        if self.exchange.newly:
            self.best, self.exchange.newly = None, 0
            if self.averaging is not None:
                self.averaging = Averaging(self.exchange, self.dso, self.settings)

    def _called_back(self) -> bool:
        """Whether somebody who is held answers after all, before a plan is made without them."""
        held = self.exchange.held
        if held:
            self.exchange.call(self.price, self.rho)
        return self.exchange.held < held

    def _gains(self, before: float, after: float, dual: Dual) -> bool:
        """Whether those who came back make the plan cheaper, without its being proven good enough."""
        return not settled(before, after, self.settings) and not proves(dual.bound, after, self.settings)

    def _remix(self, near: Array | None = None, known: Rows | None = None) -> Mix:
        """Mix past answers; those who are held have but one."""
        assert self.mixer is not None
        self.mixer.changed = self.memory.changed(self.exchange) if self.exchange.held else None
        return self.mixer.mix(near, known)

    def _dso_step(self, own: Array, cost: float, iteration: int) -> Generator[Asked, None, tuple[float, float]]:
        """Project the bus sums, move the prices, hand every prosumer its share; relative primal and dual residual."""
        relaxation = self.settings.relaxation if iteration > 1 else 1.0
        if iteration == 1 and self.cold:
            self.bus_z, self.exchange.z[:] = own.copy(), self._answer().y
        every = self.settings.relinearise_every
        if iteration == 1 or (every and iteration % every == 0):
            # in an island the losses move every price, and the shares run away to where no prosumer can follow
            self.dso.relinearise(self.bus_z if self.dso.limits.connection is None else own)
        relaxed = relaxation * own + (1.0 - relaxation) * self.bus_z
        mobility = self.count / self.rho
        yield Asked(cost, own, relaxed, mobility)
        self.bus_z, self.bus_price = self.dso.project(relaxed - mobility * self.bus_price, mobility)
        shift = np.where(self.count > 0, (self.bus_z - relaxed) / np.maximum(self.count, 1.0), 0.0)
        self.price, (primal, dual, size_y, size_z) = self.exchange.share(shift, self.bus_price, relaxation)
        return float(primal / max(size_y, size_z, 1e-9)), float(self.rho * dual / self._price_norm)

    def _mix(self, iteration: int, own: Array) -> tuple[Mix | None, float, Shortfall | None]:
        """Mix past answers when it is time; the mix, and a lower bound of the cost [EUR].

        Where no mix meets the limits, push: that proves the day infeasible, or brings the answer that the mix lacks.
        """
        mixing = self.settings.mixing
        if mixing is None or self.mixer is None:
            doubtful = iteration % DOUBT_ROUNDS == 0 and not meets_limits(excess_of(self.history[-1]), self.settings)
            return None, -np.inf, self._push(self.dso, own) if doubtful else None
        first = mixing.first if self.cold else mixing.every
        if iteration < first or (iteration - first) % mixing.every:
            return None, -np.inf, None
        if self.dso.outer_price() is not None and not len(self.dso.rows):
            return None, -np.inf, None  # nothing to meet: the answers are a plan
        # at the plain price: the extreme answer that the mix would lack, and the bound
        dual = bound(self.exchange, self.bus_price, self.dso.least_value(self.community.dt_h[self.exchange.steps]))
        mix = self._remix(own, self.dso.rows)
        if mix.slack > SLACK_TOLERANCE:
            shortfall = self._push(self.mixer.dso, mix.x)
            if shortfall is not None:
                return mix, dual.bound, shortfall
            mix = self._remix()
        return mix, dual.bound, None

    def _improved(self, mix: Mix, plan: Plan, dual: Dual) -> tuple[Plan, Dual]:
        """Mix once more: the questions of the proof may have brought what improves the mix and its prices.

        Linearised elsewhere the grid may allow what undercuts a bound; it is then asked for at the new plan.
        """
        assert self.mixer is not None
        assert self.proving is not None
        if dual.bound == -np.inf:
            dual = self.proving.last(plan, self.price)
        last, cost = self._remix(), mix.cost
        if last.cost < mix.cost and meets_limits(last.excess, self.settings):
            plan, cost = self._mixed(last), last.cost
        own = self.proving.of_mix(last)
        if refuted(dual.bound, cost, self.settings):
            dual = self.proving.last(plan, self.price)
        return plan, max((dual, own), key=lambda one: (not refuted(one.bound, cost, self.settings), one.bound))

    def _done(self, lower_bound: float) -> bool:
        """Whether the best mix is good enough, or mixes no longer get better."""
        assert self.best is not None
        return proves(lower_bound, self.best[0].cost, self.settings) or mixes_settled(self.history, self.settings)

    def _push(self, dso: Dso, x: Array) -> Shortfall | None:
        """Ask for all that can be done about the limits that ``x`` violates; what that proves, if anything."""
        violated, direction = violated_rows(dso, x)
        price = self.exchange.everywhere(self.bus_price + OVERWHELMING * direction)
        own, _ = self.exchange.ask_all(price, self.rho)
        if not self.exchange.complete:
            return None
        return judge(dso, self.comm, violated, x, own, self.exchange.steps.start)

    def again(self) -> Plan:
        """Mix the answers that are there once more, the grid around having changed."""
        return self._mixed(self._remix(self.bus_z, self.dso.rows))

    def _mixed(self, mix: Mix) -> Plan:
        y, states = self.memory.combine(mix.weights, self.exchange.trust)
        return Plan(y, states, mix.cost, mix.excess)

    def _report(self, mix: Mix | None, bound_eur: float) -> None:
        """Complete the record of the round and tell the observer."""
        record = self.history[-1]
        record["answers"] = self.exchange.answers
        if mix is not None:
            record["mix_cost_eur"] = mix.cost
            record |= self._named(mix.excess, "mix_")
            record["mix_slack_kw"] = mix.slack
            if np.isfinite(bound_eur):
                record["bound_eur"] = bound_eur
        self.observe(record)

    def _result(
        self,
        status: Status,
        plan: Plan,
        shortfall: Shortfall | None = None,
        dual: Dual | None = None,
    ) -> Coordinated:
        """For what has no bound yet one last question is asked; a bound that the plan itself undercuts is none."""
        if self.settings.certify and status != "infeasible" and dual is None:
            dual = Dual(self.price, last_bound(self.exchange, self.dso, self.exchange.by_bus(plan.y)))
        proven = dual is not None and np.isfinite(dual.bound) and not refuted(dual.bound, plan.cost, self.settings)
        return Coordinated(
            status,
            plan,
            price=dual.price if dual else self.price,
            baseline=self.baseline,
            lower_bound=dual.bound if dual and proven else None,
            shortfall=shortfall,
            rounds=len(self.history),
            answers=self.exchange.answers,
            history=self.history,
            warm=Warm(self.price, self.exchange.z, self.mixed_rho or self.rho),
            fallbacks=self.mixer.fallbacks if self.mixer else 0,
        )
