import CTorch
import Foundation
import Synchronization

/// A place where processes that are to compute together find each other: c10d's TCPStore, as torchrun serves it, too.
package final class MeetingPlace: Sendable {
    private let handle: Mutex<OpenHandle>
    /// The port under which it is served.
    package let port: Int

    /// An `OpaquePointer` that is only touched under the lock.
    private struct OpenHandle: @unchecked Sendable { let pointer: OpaquePointer }

    /// - Parameters:
    ///   - serves: whether this process serves it; a port of 0 is then any free one.
    ///   - seconds: how long connecting may take, and each question later.
    /// - Throws: `TensorError` with libtorch's words.
    package init(host: String, port: Int, serves: Bool, seconds: Double) throws {
        let pointer = try Tensor.checked(ct_store_open(host, Int32(port), serves, seconds))
        self.port = Int(ct_store_port(pointer))
        handle = Mutex(OpenHandle(pointer: pointer))
    }

    deinit { handle.withLock { ct_store_close($0.pointer) } }

    /// How long questions may take from now on.
    package func limit(seconds: Double) { handle.withLock { ct_store_limit($0.pointer, seconds) } }

    /// Puts text under a key.
    package func set(_ key: String, _ text: String) throws {
        let bytes = Array(text.utf8)
        try handle.withLock { try Tensor.checked(ct_store_set($0.pointer, key, bytes, bytes.count)) }
    }

    /// Adds to the number under a key.
    /// - Returns: the number then.
    package func add(_ key: String, _ amount: Int) throws -> Int {
        let sum = handle.withLock { ct_store_add($0.pointer, key, Int64(amount)) }
        guard sum >= 0 else { throw TensorError.libtorch(String(cString: ct_error())) }
        return Int(sum)
    }

    /// The text under a key, at most 64 KiB of it; nil where there is none yet.
    package func text(_ key: String) throws -> String? {
        try handle.withLock { handle in
            let has = ct_store_has(handle.pointer, key)
            guard has >= 0 else { throw TensorError.libtorch(String(cString: ct_error())) }
            guard has == 1 else { return nil }
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = ct_store_get(handle.pointer, key, &bytes, bytes.count)
            guard count >= 0 else { throw TensorError.libtorch(String(cString: ct_error())) }
            return String(decoding: bytes.prefix(Int(count)), as: UTF8.self)
        }
    }

    fileprivate func formTeam(
        rank: Int, size: Int, address: String, interface: String?, joining: Double, seconds: Double
    ) throws -> OpaquePointer {
        try handle.withLock {
            try Tensor.checked(
                ct_team_form($0.pointer, Int32(rank), Int32(size), address, interface, joining, seconds))
        }
    }
}

/// Processes that compute together, each with a rank from 0 on. All make the same calls in the same order.
///
/// The engine is c10d's Gloo, which lies in the libtorch that Retort has anyway: it sums over TCP, and needs no launcher of its own
/// and no MPI. Tensors on a GPU go through the host's memory.
///
/// A process that ends is noticed by the others in the call that they are in, or the next one. After any error the team can do nothing
/// more.
package final class ProcessTeam: Sendable {
    /// This process's number among all, from 0.
    package let rank: Int
    /// The number of processes.
    package let size: Int
    private let handle: Mutex<Handle>

    /// A pointer that is only touched under the lock; nil once the team was left.
    private struct Handle: @unchecked Sendable { var pointer: OpaquePointer? }

    /// Gradients that are summed at once, in elements: adapters are one piece, and whole models need no second copy of all their weights.
    private static let mostElements: Int64 = 64 << 20

    /// Connects all to all.
    /// - Parameters:
    ///   - address: this process's own, as the others reach it.
    ///   - interface: a network interface to take instead.
    ///   - joining: how long connecting may take.
    ///   - seconds: how long each call may take later.
    package init(
        _ place: MeetingPlace, rank: Int, size: Int, address: String, interface: String? = nil, joining: Double,
        seconds: Double
    ) throws {
        (self.rank, self.size) = (rank, size)
        handle = Mutex(
            Handle(
                pointer: try place.formTeam(
                    rank: rank, size: size, address: address, interface: interface, joining: joining,
                    seconds: seconds)))
    }

    deinit { leave() }

    /// Closes the connections, which the others notice; after a call that was interrupted they are closed with the process.
    package func leave() {
        handle.withLock { handle in
            if let pointer = handle.pointer { ct_team_leave(pointer) }
            handle.pointer = nil
        }
    }

    /// Overwrites a tensor by what it is in one of the processes.
    package func broadcast(_ tensor: Tensor, from root: Int = 0) throws {
        try call { ct_team_broadcast($0, tensor.handle, Int32(root)) }
    }

    /// Bytes of one of the processes; what the others give is not looked at.
    package func broadcast(_ data: Data, from root: Int = 0) throws -> Data {
        let length = try Tensor(integers: [data.count])
        try broadcast(length, from: root)
        let count = try length.integers()[0]
        guard count > 0 else { return Data() }
        let bytes =
            rank == root
            ? try Tensor(bytes: data, shape: [count], dtype: .uint8) : try Tensor.zeros([count], dtype: .uint8)
        try broadcast(bytes, from: root)
        return rank == root ? data : try bytes.bytes()
    }

    /// Fills a flat tensor of a part for each process, all of one length and in the order of ranks: overwrites each part by what its
    /// process has there.
    package func gather(_ tensor: Tensor) throws {
        precondition(tensor.count % size == 0, "parts of one length")
        guard tensor.count > 0 else { return }
        try call { ct_team_gather($0, tensor.handle) }
    }

    /// Replaces numbers by their sums over all processes, which are the same to the last bit everywhere.
    package func sum(_ values: inout [Double]) throws {
        guard !values.isEmpty else { return }
        try values.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let count = Int32(buffer.count)
            // The pointer is used within the call alone.
            nonisolated(unsafe) let start = base
            try call { ct_team_sum($0, start, count) }
        }
    }

    /// Replaces the gradients of float32 parameters by their sums over all processes; one that a process lacks counts as zero.
    package func sumGradients(of parameters: [Tensor]) throws {
        guard !parameters.isEmpty else { return }
        try parameters.map(\.handle).withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let count = Int32(buffer.count)
            nonisolated(unsafe) let start = base
            try call { ct_team_sum_gradients($0, start, count, Self.mostElements) }
        }
    }

    private func call(_ body: (OpaquePointer) -> Int32) throws {
        // The message belongs to this thread, and is read before anything else is called.
        try handle.withLock { handle in
            guard let pointer = handle.pointer else { throw TensorError.libtorch("the team was left") }
            try Tensor.checked(body(pointer))
        }
    }
}

/// Runs `body`, in which dropout counts rows as if so many stood before them: a part of a batch then drops what it does in the
/// whole one. The count belongs to the thread, so `body` cannot suspend.
package func skippingDroppedRows<Result>(_ rows: Int, _ body: () throws -> Result) rethrows -> Result {
    ct_skip_dropped_rows(Int64(rows))
    defer { ct_skip_dropped_rows(0) }
    return try body()
}
