import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// What rank 0 wants of the others.
enum TeamOrder: Codable {
    /// Nothing yet.
    case wait
    /// A training begins; the weights follow.
    case begin(TrainingSetup)
    /// An update: behind it, each process's part of its rows.
    case update(Update)
    /// The loss of the held-out samples.
    case look
    /// Moments that are divided, for a checkpoint.
    case gather
    /// The training is over.
    case end
    /// All is done.
    case finish
    /// Nothing more is done, and why.
    case stop(String)

    /// One update.
    struct Update: Codable {
        var number: Int
        var rate: Double
        /// What the sums of each kind of loss are multiplied by, for the batch as a whole.
        var scales: [Double]
    }

    private static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return encoder
    }

    private static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }

    static func encode(_ parts: [RowPart]) throws -> Data { try encoder.encode(parts) }

    static func decode(_ data: Data) throws -> [RowPart] { try decoder.decode([RowPart].self, from: data) }

    /// The lengths of the order and of what follows it, and then these.
    private struct Lengths: Codable {
        var order: Int
        var more: [Int]
    }

    func message(_ more: [Data]) throws -> Data {
        let order = try Self.encoder.encode(self)
        let lengths = try Self.encoder.encode(Lengths(order: order.count, more: more.map(\.count)))
        var message = lengths + Data([0x0a]) + order
        for part in more { message += part }
        return message
    }

    static func read(_ message: Data) throws -> (order: TeamOrder, more: [Data]) {
        guard let mark = message.firstIndex(of: 0x0a),
            let lengths = try? decoder.decode(Lengths.self, from: message[..<mark])
        else { throw TeamError.outOfStep("an order cannot be read") }
        var rest = message[message.index(after: mark)...]
        func next(_ count: Int) throws -> Data {
            guard count >= 0, rest.count >= count else { throw TeamError.outOfStep("an order is cut off") }
            defer { rest = rest.dropFirst(count) }
            return Data(rest.prefix(count))
        }
        do {
            let order = try decoder.decode(TeamOrder.self, from: next(lengths.order))
            return (order, try lengths.more.map(next))
        } catch let error as DecodingError {
            throw TeamError.outOfStep("an order cannot be read: \(error)")
        }
    }
}

/// What a process needs to take part in a training, besides the weights.
struct TrainingSetup: Codable {
    /// A weight as rank 0 has it.
    struct Weight: Codable, Hashable {
        var name: String
        var shape: [Int]
        var dtype: DType
    }

    var network: DecoderConfiguration
    var device: Device
    var training: TrainingConfiguration
    var weights: [Weight]
    /// Each process's part of the held-out samples.
    var heldOut: [[RowPart]]
    /// Whether the moments follow the weights, too; otherwise they are zero.
    var isResumed: Bool
    /// Whether each process holds the moments of a part of the weights only.
    var dividesMoments: Bool
}
