import CTorch

/// The kernels of a pass on CUDA, recorded once and launched together as often as needed (CUDA graphs). A decoding
/// step consists of hundreds of kernels of a few microseconds each, and launching them one by one takes longer than
/// running them.
///
/// A recording contains addresses: a replay reads and writes the very tensors of the recording, which must live as
/// long and may only be changed in place.
package final class DeviceGraph {
    private let handle: OpaquePointer

    /// Records what `body` computes; nothing of it runs before `replay()`. The pass must have run before, since its
    /// first run loads libraries and allocates workspaces.
    /// - Throws: the error of `body`, and libtorch's message for a pass that cannot be recorded, such as one that
    ///   copies from the CPU or waits for a result.
    package init(recording body: () throws -> Void) throws {
        let graph = try Tensor.checked(ct_graph_begin())
        do {
            try body()
            try Tensor.checked(ct_graph_end(graph))
        } catch {
            ct_graph_free(graph)
            throw error
        }
        handle = graph
    }

    deinit { ct_graph_free(handle) }

    /// Runs the recording after everything that was submitted to the device before.
    package func replay() throws { try Tensor.checked(ct_graph_replay(handle)) }

    /// Why graphs are not available, found out by recording and replaying a small one; nil if they are.
    package static let refusal: String? = {
        let message = String(cString: ct_graph_refusal())
        guard message.isEmpty else { return message }
        do {
            let sum = try Tensor.zeros([2], device: .cuda)
            let step = try Tensor.full([2], 3, device: .cuda)
            func add() throws { try sum.assign(sum + step) }
            try add()
            let graph = try DeviceGraph(recording: add)
            for _ in 0..<2 { try graph.replay() }
            let found = try sum.floats()
            return found == [9, 9] ? nil : "3 and two recorded additions of 3 gave \(found)"
        } catch {
            return "\(error)"
        }
    }()
}
