import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// A process of a team besides rank 0: waits for trainings and takes part in them, on a thread of its own.
package actor TeamMember {
    private nonisolated let executor = EngineExecutor(name: "retort.team")

    /// The thread on which it waits and trains.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// A member that has not joined a training yet.
    package init() {}

    deinit { executor.finish() }

    /// Meets the other processes, as whichever rank.
    /// - Throws: see `TrainingTeam.init`.
    package func join(
        _ place: TeamPlace, program: String, joining: Double? = nil, seconds: Double, interface: String? = nil
    ) throws -> TrainingTeam {
        try TrainingTeam(place, program: program, joining: joining, seconds: seconds, interface: interface)
    }

    /// Does what rank 0 wants until that is done.
    /// - Throws: `TeamError` where rank 0 has ended early or is gone; `CancellationError`.
    package func serve(_ team: TrainingTeam) throws {
        do {
            try interruptible {
                while true {
                    switch try team.receive().order {
                    case .wait: continue
                    case .begin(let setup): try follow(setup, team)
                    // What ended a training here ended it at rank 0, which says so next.
                    case .end: continue
                    case .finish: return
                    case .stop(let why): throw TeamError.stopped(why)
                    case .update, .look, .gather: throw TeamError.outOfStep("an update came without a training")
                    }
                }
            }
        } catch {
            // At once, so that the others need not wait.
            team.leave()
            throw team.verdict(on: error)
        }
        team.leave()
    }

    private func follow(_ setup: TrainingSetup, _ team: TrainingTeam) throws {
        try ComputeMemory.kept {
            let trainer = try TeamTraining.follow(setup, team)
            while true {
                let (order, more) = try trainer.training?.receive() ?? team.receive()
                do {
                    switch order {
                    case .wait: continue
                    case .update(let update):
                        guard more.count == team.size else { throw TeamError.outOfStep("a part is missing") }
                        try trainer.update(update, TeamOrder.decode(more[team.rank]))
                    case .look: _ = try trainer.training?.sums()
                    case .gather: try trainer.sendMoments()
                    case .end: return
                    case .stop(let why): throw TeamError.stopped(why)
                    case .begin, .finish: throw TeamError.outOfStep("a training has no end")
                    }
                } catch let error as TrainerError where error.isNotFinite {
                    // It is so at all processes, and rank 0 says what follows.
                    continue
                } catch is TrainingTeam.Interrupted {
                    continue
                }
            }
        }
    }
}

extension Trainer {
    /// Takes part in an update as another process than rank 0.
    func update(_ order: TeamOrder.Update, _ parts: [RowPart]) throws {
        var scales = ByLossKind<Double>(repeating: 0)
        for (kind, scale) in zip(LossKind.allCases, order.scales) { scales[kind] = scale }
        _ = try update(parts, number: order.number, rate: order.rate, scales: scales)
        // Rank 0 needs what this process has for its checkpoint.
        if dividesMoments { UnsavedWork.begin(self) }
    }

    /// Sends rank 0 the moments that this process holds, for a checkpoint.
    func sendMoments() throws {
        try training?.sendMoments()
        UnsavedWork.end(self)
    }
}
