"""Names of columns that are understood in tables."""

# Column names that are understood without --map, best first; compared without case and "_".
ITEM_COLUMNS: dict[str, tuple[str, ...]] = {
    "item_id": (
        *("item_id", "id", "asin", "parent_asin", "product_id", "movie_id", "book_id", "isbn"),
        *("article_id", "news_id", "video_id", "track_id", "song_id", "game_id", "iid", "item"),
    ),
    "title": ("title", "name"),
    "description": ("description", "overview", "plot", "summary"),
    "tags": ("tags", "tag", "keywords"),
    "categories": ("categories", "category", "genres", "genre"),
    "creator": ("creator", "brand", "author", "authors", "artist", "store", "director"),
    "year": ("year", "publication_year", "release_year", "release_date"),
    "price": ("price",),
    "image": ("image", "image_url", "cover", "cover_url", "poster"),
    "popularity": ("popularity", "rating_number", "count", "view_number", "views"),
}
INTERACTION_COLUMNS: dict[str, tuple[str, ...]] = {
    "item_id": (
        *("item_id", "item", "asin", "parent_asin", "product_id", "movie_id", "book_id", "isbn"),
        *("article_id", "news_id", "video_id", "track_id", "song_id", "game_id", "iid"),
    ),
    "user_id": ("user_id", "user", "reviewer_id", "customer_id", "visitor_id", "uid"),
    "timestamp": (
        *("timestamp", "time", "unix_review_time", "datetime", "date", "rated_at", "created_at"),
    ),
}
