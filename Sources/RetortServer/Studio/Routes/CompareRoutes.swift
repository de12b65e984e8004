import Hummingbird

/// Two systems or runs against each other.
struct CompareRoutes {
    let core: StudioCore

    func add(to router: Router<ServerContext>) {
        router.get("/compare") { request, _ in
            try core.page(
                try await ComparePage(core.runs.all, StudioQuery(request)), "compare", title: "Compare",
                here: "/compare")
        }
    }
}
