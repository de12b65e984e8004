import Dispatch
import Foundation
import Glibc
import RetortCore
import Testing

@testable import RetortPython

@Suite("The channel to a worker")
struct FrameChannelTests {
    /// A channel to which the other side has said something that nobody has taken yet.
    private func spokenTo(_ body: String = #"{"op": "rehearsed"}"#) async throws -> (channel: FrameChannel, peer: Int32)
    {
        let (channel, peer) = try FrameChannel.pair()
        #expect(await Peer(peer).write(Peer.frame(Data(body.utf8))))
        while !channel.hasUnread { try await Task.sleep(for: .milliseconds(1)) }
        return (channel, peer)
    }

    @Test("an answer is given while the channel is open")
    func open() async throws {
        let (channel, peer) = try await spokenTo()
        defer { close(peer) }
        #expect(await channel.nextFrame(seconds: 3600) == ["op": "rehearsed"])
        #expect(!channel.isClosed)
        channel.close()
    }

    @Test("an answer that is taken after the time was up is none: nothing can be said to its sender any more")
    func late() async throws {
        let (channel, peer) = try await spokenTo()
        defer { close(peer) }
        // What the alarm does when the task that waits gets no processor in time.
        channel.close()
        #expect(await channel.nextFrame(seconds: 3600) == nil)
    }

    @Test("a frame is decoded by the task that waits for it, not where the sockets of all sessions are watched")
    func decoding() async throws {
        let (channel, peer) = try await spokenTo("no JSON")
        defer { close(peer) }
        // It has arrived, and has not been read as JSON.
        #expect(!channel.hasBrokenRules && !channel.isClosed)
        #expect(await channel.next() == nil)
        #expect(channel.hasBrokenRules && channel.isClosed)
    }

    @Test("a worker that sends more than 16 MiB without being spoken to is cut off")
    func turn() async throws {
        let (channel, peer) = try FrameChannel.pair()
        defer { close(peer) }
        let frame = Peer.frame(Data(count: 1 << 20))
        for _ in 0..<17 { _ = await Peer(peer).write(frame) }
        while !channel.isClosed { try await Task.sleep(for: .milliseconds(1)) }
        #expect(channel.hasBrokenRules)
    }

    @Test("what a worker does not read waits, in order, and holds up no other worker")
    func slowReader() async throws {
        let (slow, slowPeer) = try FrameChannel.pair()
        let (quick, quickPeer) = try FrameChannel.pair()
        defer {
            close(slowPeer)
            close(quickPeer)
        }
        // More than a socket takes.
        let long = JSONValue.string(String(repeating: "x", count: 2 << 20))
        let sending = Task {
            try await slow.send(["op": "return", "value": long])
            try await slow.send(["op": "end"])
        }
        for number in 0..<3 {
            try await quick.send(["op": .integer(number)])
            #expect(try await Peer(quickPeer).read() == ["op": .integer(number)])
        }
        #expect(try await Peer(slowPeer).read() == ["op": "return", "value": long])
        #expect(try await Peer(slowPeer).read() == ["op": "end"])
        try await sending.value
    }

    @Test("a channel that is closed ends what waits for a worker that does not read")
    func closedWhileSending() async throws {
        let (channel, peer) = try FrameChannel.pair()
        defer { close(peer) }
        let long = JSONValue.string(String(repeating: "x", count: 2 << 20))
        let sending = Task { try await channel.send(["value": long]) }
        channel.close()
        await #expect(throws: PythonError.self) { try await sending.value }
    }
}

/// The worker's end of a channel. It waits on a thread of its own, where nothing else has to run.
private struct Peer {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    static func frame(_ body: Data) -> Data {
        withUnsafeBytes(of: UInt32(body.count).littleEndian) { Data($0) } + body
    }

    /// Whether all could be written.
    func write(_ bytes: Data) async -> Bool {
        await onThread { [descriptor] in
            bytes.withUnsafeBytes { all in
                var written = 0
                while written < all.count {
                    let rest = UnsafeRawBufferPointer(rebasing: all[written...])
                    let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                    guard count > 0 else { return false }
                    written += count
                }
                return true
            }
        }
    }

    /// The next frame.
    func read() async throws -> JSONValue {
        let body = await onThread { [self] in
            let length = bytes(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            return bytes(length)
        }
        return try ExactJSON.value(of: body)
    }

    /// So many bytes, or fewer at the end.
    private func bytes(_ count: Int) -> [UInt8] {
        var all = [UInt8](repeating: 0, count: count)
        let read = all.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, count, Int32(MSG_WAITALL)) }
        return Array(all.prefix(max(read, 0)))
    }

    private func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: work()) }
        }
    }
}
