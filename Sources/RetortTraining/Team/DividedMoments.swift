import Foundation
import RetortTensor

/// One moment of a weight, by the weight's place, as a checkpoint has it.
typealias SavedMoment = (_ moment: TrainableParameters.Moment, _ weight: Int) throws -> Tensor

/// Moments that are divided among the processes.
extension TeamTraining {
    /// How many elements are sent at once: 64 MiB.
    private static let most = 16 << 20

    /// Sends each process the new values of the weights whose moments the others hold.
    func gatherWeights() throws {
        guard let shares else { return }
        for step in OptimizerShares.steps(0..<shares.largest, of: max(Self.most / shares.size, 1)) {
            let buffer = try Tensor.zeros([step.count * shares.size])
            try copy(shares.pieces(shares.part(step, of: team.rank)), to: buffer, from: step.count * team.rank)
            try calling { try team.call { try $0.gather(buffer) } }
            for rank in 0..<shares.size where rank != team.rank {
                try copy(buffer, from: step.count * rank, to: shares.pieces(shares.part(step, of: rank)))
            }
        }
    }

    private func copy(_ pieces: [OptimizerShares.Piece], to buffer: Tensor, from start: Int) throws {
        var place = start
        for piece in pieces {
            let weight = try parameters.named[piece.weight].weight.flatView(piece.elements)
            try buffer.flatView(place..<place + piece.elements.count).assign(weight)
            place += piece.elements.count
        }
    }

    private func copy(_ buffer: Tensor, from start: Int, to pieces: [OptimizerShares.Piece]) throws {
        var place = start
        for piece in pieces {
            let weight = try parameters.named[piece.weight].weight.flatView(piece.elements)
            try weight.assign(buffer.flatView(place..<place + piece.elements.count))
            place += piece.elements.count
        }
    }

    /// Writes a checkpoint as rank 0, for which the others send their moments.
    func gathering<Result>(_ write: () throws -> Result) throws -> Result {
        try team.occupied {
            try calling { try team.send(.gather) }
            return try uninterrupted(write)
        }
    }

    /// Sends moments to rank 0, as another process.
    func sendMoments() throws {
        for kind in TrainableParameters.Moment.allCases { try gather(kind) { _ in } }
    }

    /// Gathers one moment of all weights.
    /// - Parameter append: gets them in the order of the weights, piece by piece.
    func gather(_ moment: TrainableParameters.Moment, _ append: (Data) throws -> Void) throws {
        guard let shares else { return }
        for rank in 0..<shares.size {
            for step in OptimizerShares.steps(shares.range(of: rank), of: Self.most) {
                let buffer = try Tensor.zeros([step.count])
                if rank == team.rank { try each(moment, step) { try buffer.flatView($0).assign($1) } }
                // Its own ones rank 0 has.
                if rank != 0 { try calling { try team.call { try $0.broadcast(buffer, from: rank) } } }
                if team.rank == 0 { try append(buffer.bytes()) }
            }
        }
    }

    /// Gives each process its moments out of a checkpoint that rank 0 has.
    func deal(_ shares: OptimizerShares, _ saved: SavedMoment?) throws {
        for kind in TrainableParameters.Moment.allCases {
            for step in OptimizerShares.steps(0..<shares.count, of: Self.most) {
                let buffer = try Tensor.zeros([step.count])
                if let saved {
                    var place = 0
                    for piece in shares.pieces(step) {
                        let moment = try saved(kind, piece.weight).flatView(piece.elements)
                        try buffer.flatView(place..<place + piece.elements.count).assign(moment)
                        place += piece.elements.count
                    }
                }
                try calling { try team.call { try $0.broadcast(buffer) } }
                try each(kind, step) { try $1.assign(buffer.flatView($0)) }
            }
        }
    }

    /// The moments in this process among some elements, each with its place among these.
    private func each(
        _ moment: TrainableParameters.Moment, _ elements: Range<Int>, _ body: (Range<Int>, Tensor) throws -> Void
    ) throws {
        var place = 0
        for piece in shares?.pieces(elements) ?? [] {
            for (offset, view) in try parameters.views(moment, of: piece) {
                try body(place + offset..<place + offset + view.count, view)
            }
            place += piece.elements.count
        }
    }
}
