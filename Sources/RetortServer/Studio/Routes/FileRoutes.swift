import Hummingbird
import NIOCore

/// The style sheet, script and icon of all pages.
struct FileRoutes {
    let core: StudioCore

    func add(to router: Router<ServerContext>) {
        for (name, file) in core.templates.files {
            let bytes = ByteBuffer(bytes: file.data)
            router.get("/\(name)") { _, _ in
                Response(
                    status: .ok, headers: [.contentType: file.type, .contentLength: String(bytes.readableBytes)],
                    body: ResponseBody(byteBuffer: bytes))
            }
        }
    }
}
