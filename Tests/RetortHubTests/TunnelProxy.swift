import NIOCore
import NIOPosix

/// A proxy on the loopback interface that opens tunnels (`CONNECT`, RFC 9110, section 9.3.6), whatever host they ask for, to one place.
enum TunnelProxy {
    /// Listens for as long as the work takes.
    static func with<Value: Sendable>(
        to port: Int, _ work: @escaping @Sendable (_ address: String) async throws -> Value
    ) async throws -> Value {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
        let address = "127.0.0.1:\(server.channel.localAddress?.port ?? 0)"
        return try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask {
                try? await server.executeThenClose { clients in
                    try await withThrowingDiscardingTaskGroup { tunnels in
                        for try await client in clients {
                            tunnels.addTask { try? await tunnel(client, to: port) }
                        }
                    }
                }
                return nil
            }
            tasks.addTask { try await work(address) }
            defer { tasks.cancelAll() }
            while let value = try await tasks.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }

    private static func tunnel(_ client: NIOAsyncChannel<ByteBuffer, ByteBuffer>, to port: Int) async throws {
        let target = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await client.executeThenClose { fromClient, toClient in
            try await target.executeThenClose { fromTarget, toTarget in
                var requests = fromClient.makeAsyncIterator()
                var head = ""
                while !head.hasSuffix("\r\n\r\n"), let part = try await requests.next() { head += String(buffer: part) }
                guard head.hasPrefix("CONNECT ") else { return }
                try await toClient.write(ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n"))
                await withTaskGroup(of: Void.self) { ways in
                    ways.addTask {
                        do { for try await part in fromTarget { try await toClient.write(part) } } catch {}
                    }
                    while let part = try? await requests.next() {
                        guard (try? await toTarget.write(part)) != nil else { break }
                    }
                    ways.cancelAll()
                }
            }
        }
    }
}
