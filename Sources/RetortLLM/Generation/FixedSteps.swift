import RetortTensor

/// Decoding steps with a few fixed shapes, so that each can be recorded once and replayed (CUDA graphs).
///
/// A shape has room for a power of two of rows and of keys. Rows without a sample read token 0 at position 0 into
/// free rows of the cache; keys beyond a row's length are masked. Tokens and positions are written into the shape's
/// own tensors before each step, so that nothing else differs between steps.
final class FixedSteps {
    /// How much a step has room for.
    struct Shape: Hashable {
        var rows: Int
        /// The number of keys that each row attends to.
        var length: Int

        /// The smallest shape for this many rows that attend to `longest` keys, in a model with a context of
        /// `context` tokens.
        init(rows: Int, longest: Int, context: Int) {
            self.rows = Self.powerOfTwo(from: rows)
            let whole = (context + 127) / 128 * 128
            length = max(min(Self.powerOfTwo(from: max(longest, 256)), whole), longest)
        }

        private static func powerOfTwo(from count: Int) -> Int {
            var power = 1
            while power < count { power *= 2 }
            return power
        }
    }

    /// The most recordings that are kept; the least recently used one is dropped.
    static let most = 16

    private let pass: StepPass
    private let records: Bool
    private var steps: [(shape: Shape, step: FixedStep)] = []
    private var moves = 0
    /// Why nothing is recorded any more; nil while steps are recorded.
    private(set) var failure: String?

    init(_ pass: StepPass, records: Bool) {
        self.pass = pass
        self.records = records
    }

    /// The recorded shapes, the latest last.
    var shapes: [Shape] { steps.map(\.shape) }

    /// The scores after tokens at positions, one per row: `[rows, vocabulary]`, overwritten by the next step.
    func scores(behind tokens: [Int], at positions: [Int]) throws -> Tensor {
        let shape = Shape(
            rows: tokens.count, longest: (positions.max() ?? 0) + 1,
            context: pass.network.configuration.maximumPositions)
        try pass.cache.reserve(rows: shape.rows, length: shape.length)
        let step = try step(of: shape)
        try step.fill(tokens, positions)
        if records, failure == nil {
            do {
                return try step.replay(pass).narrowed(0, 0..<tokens.count)
            } catch let error as RecordingError {
                // The step has not run, and no recording will be tried again.
                failure = error.reason
            }
        }
        return try step.run(pass).narrowed(0, 0..<tokens.count)
    }

    private func step(of shape: Shape) throws -> FixedStep {
        if moves != pass.cache.moves {
            // Recordings contain the address of the cache.
            moves = pass.cache.moves
            steps = []
        }
        let known = steps.firstIndex { $0.shape == shape }.map { steps.remove(at: $0).step }
        let step = try known ?? FixedStep(shape, device: pass.network.device)
        steps.append((shape, step))
        if steps.count > Self.most { steps.removeFirst() }
        return step
    }
}

/// A step of one shape.
final class FixedStep {
    private let shape: FixedSteps.Shape
    /// int64 `[rows]` on the device.
    private let tokens, positions: Tensor
    private var runs = 0
    private var recording: (graph: DeviceGraph, scores: Tensor)?

    /// How often a step runs before it is recorded, since the first runs load libraries and allocate workspaces.
    private static let rehearsals = 2

    init(_ shape: FixedSteps.Shape, device: Device) throws {
        self.shape = shape
        tokens = try Tensor.zeros([shape.rows], dtype: .int64, device: device)
        positions = try Tensor.zeros([shape.rows], dtype: .int64, device: device)
    }

    /// Sets the inputs of the next run.
    func fill(_ tokens: [Int], _ positions: [Int]) throws {
        let empty = Array(repeating: 0, count: shape.rows - tokens.count)
        try self.tokens.assign(Tensor(integers: tokens + empty))
        try self.positions.assign(Tensor(integers: positions + empty))
    }

    /// Runs the step: `[rows, vocabulary]`.
    func run(_ pass: StepPass) throws -> Tensor {
        try pass.scores(behind: tokens, at: positions, longest: shape.length)
    }

    /// The same from a recording, which is made once the step has run often enough.
    func replay(_ pass: StepPass) throws -> Tensor {
        guard recording != nil || runs >= Self.rehearsals else {
            runs += 1
            return try run(pass)
        }
        let recording = try recording ?? record(pass)
        self.recording = recording
        try recording.graph.replay()
        return recording.scores
    }

    private func record(_ pass: StepPass) throws -> (graph: DeviceGraph, scores: Tensor) {
        var scores = tokens
        do {
            let graph = try DeviceGraph { scores = try run(pass) }
            return (graph, scores)
        } catch {
            throw RecordingError(reason: "\(error)")
        }
    }
}

/// A step could not be recorded; no part of it ran.
private struct RecordingError: Error {
    let reason: String
}
